"""The pages in ``docs/reference`` as code: ``python -m reference`` writes them; a test compares them with the files."""
