"""Foreign formats of books, trades and best quotes: one module each, which turns files into chunks of rows."""
