"""The LangGraph Platform API over a runtime: an ASGI app. Needs `callboard[server]`."""

try:
    from .app import callboard_app
    from .auth import Authenticate, Unauthenticated
    from .limits import Limits
except ImportError as error:
    raise ImportError(
        f"callboard.server needs {error.name}: pip install 'callboard[server]'"
    ) from error

__all__ = ["Authenticate", "Limits", "Unauthenticated", "callboard_app"]
