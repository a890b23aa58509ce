"""Events as files in a folder: CSV, XML, JSON or NDJSON."""

from adapters.file_target.target import FileTargets

TARGET = FileTargets()
