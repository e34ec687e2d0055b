"""Networks in files of ONNX, which hold no code, as plugins run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dgen.schema import BadValue


class OnnxFile:
    """A network in an `.onnx` file: a session of onnxruntime for each kind of device that it was asked for."""

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            BadValue: `missing-package`: onnxruntime is not installed.
        """
        self.path, self.nbytes = path, path.stat().st_size
        self._sessions = {"cpu": self._read("cpu")}

    def session(self, device: str | None) -> Any:
        """Return the session for a device such as `cuda:0`, of which the kind counts; None is the host.

        Raises:
            BadValue: onnxruntime cannot compute there.
        """
        kind = (device or "cpu").partition(":")[0]
        if kind not in self._sessions:
            self._sessions[kind] = self._read(kind)
        return self._sessions[kind]

    def _read(self, kind: str) -> Any:
        try:
            import onnxruntime  # type: ignore[import-untyped, unused-ignore]
        except ModuleNotFoundError:
            raise BadValue(
                "needs the package `onnxruntime` for a `.onnx` file", code="missing-package",
                help='pip install "dgen-lang[yolo]"',
            ) from None  # fmt: skip
        library: Any = onnxruntime
        provider = next((p for p in library.get_available_providers() if p.lower().startswith(kind)), None)
        if provider is None:
            raise BadValue(f"the installed `onnxruntime` cannot compute on `{kind}`", help="leave `device` out")
        library.set_default_logger_severity(3)
        return library.InferenceSession(self.path, providers=[provider])
