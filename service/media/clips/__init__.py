"""Video and audio files in: recognized by their bytes, measured in a child process. They are stored as they are."""
