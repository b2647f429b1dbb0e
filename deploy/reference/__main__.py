"""Writes ``docs/reference/*.md``, and the generated files of the Helm chart."""

from reference import pages
from reference.chart import files

if __name__ == "__main__":
    for path, text in {**pages.files(), **files.files()}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
