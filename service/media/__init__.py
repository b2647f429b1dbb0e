"""Images in: inspected and cleaned in a child process. Videos out: objects in a store. Neither imports ``upstream``."""
