"""The device's SQLite files: connections, migrations and named queries; the only importer of sqlite3."""
