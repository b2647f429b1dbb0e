"""Who is logged in to the console: login, sessions, and the rights of each request."""
