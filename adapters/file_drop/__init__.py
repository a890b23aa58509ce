"""Files dropped into a folder: CSV and NDJSON line by line, JSON and XML as a whole."""

from adapters.file_drop.adapter import FileDropAdapter

ADAPTER = FileDropAdapter()
