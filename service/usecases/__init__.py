"""What can happen; async, collaborators by constructor."""
