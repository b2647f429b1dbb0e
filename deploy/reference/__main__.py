"""Writes ``docs/reference/*.md``."""

from reference.pages import files

if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
