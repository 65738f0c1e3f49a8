"""OpenVINO, if it is installed."""

from __future__ import annotations

import sys
from typing import Any

from models.errors import FewmarkError


def import_openvino() -> Any:
    """The module, kept from telling its maker that it is used.

    Raises:
        FewmarkError: it is not installed.
    """
    # As if its telemetry were not installed: on every import it would report to its maker, and keep a thread for it.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise FewmarkError("backend openvino: not installed; pip install 'fewmark[openvino]'") from error
    return openvino
