"""The only importers of grpc, sqlite3 and other libraries that touch the world."""
