"""The synchronous API beside the webhooks: orders taken, and questions about the region answered from its journal.

Reading order: settings → operations (the one table) → queries, cursors → knowledge → enquiries (who, how often); openapi.
"""
