"""Reads my trial runs where the real results are not there yet: `import fake` before the page."""
from course_utils import study

_real = study.load_results
def load_results(name, folder=None):
    if name in ("search", "search_finals", "best_chosen"):
        return _real(name, "results")
    return _real(name, folder)
study.load_results = load_results
