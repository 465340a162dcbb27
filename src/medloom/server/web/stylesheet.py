"""The style sheet of all drawings, served as `charts.css`: reports carry the same rules inside of their one file."""

from importlib.resources import files

from medloom.foundation.charts import STYLE


def charts_css() -> str:
    """Give the CSS of charts, reports' sections and explanations' drawings.

    >>> ".chart .affected" in charts_css()
    True
    """
    drawings = files("medloom.explanation") / "templates" / "drawings.css"
    return STYLE + drawings.read_text(encoding="utf-8")
