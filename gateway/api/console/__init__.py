"""The console: the page at `/` with its files, and what it is told under /v1/admin/console."""
