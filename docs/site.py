"""What `make docs` does beside MkDocs' own: pictures that lie outside of this folder come with the site."""

from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = "benchmarks/results"


def on_files(files: Files, config: Any) -> Files:
    """Adds the benchmarks' pictures."""
    for picture in sorted((ROOT / RESULTS).glob("*.svg")):
        files.append(File.generated(config, f"{RESULTS}/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lets the pages find them there."""
    return markdown.replace(f"](../{RESULTS}/", f"]({RESULTS}/")
