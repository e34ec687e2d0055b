"""The prompt: editing, colours, completion, a line that says how things are written, history."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from prompt_toolkit import Application, PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.filters import is_searching
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from dgen.repl.editing import StatementCompleter, StatementLexer, toolbar
from dgen.repl.history import ProjectHistory
from dgen.repl.preparation import Preparation

if TYPE_CHECKING:
    from dgen.repl.runner import Runner

PROMPT = "dgen> "
CONTINUED = "  ... "

STYLE = Style.from_dict({
    "prompt": "bold", "continued": "ansibrightblack",
    "comment": "ansibrightblack", "pragma": "ansibrightblack", "continuation": "ansibrightblack",
    "directive": "ansimagenta", "keyword": "ansimagenta", "function": "ansiblue", "model": "bold",
    "option": "ansicyan", "uri-key": "ansicyan", "quote": "ansigreen", "variable": "ansiyellow",
    "template": "ansibrightblack", "number": "ansiblue",
    "bottom-toolbar": "noreverse ansibrightblack", "current": "bold underline",
})  # fmt: skip


def converse(runner: Runner | None) -> int:
    r"""Prompt for statements and run them until Ctrl-D or `\exit`; return the exit code."""
    preparation = Preparation(runner)
    prompt = _make_prompt(preparation)
    preparation.told = partial(_redraw, prompt.app)
    prompt.app.after_render.add_handler(preparation.start_after)
    code = 0
    try:
        code = _converse(prompt, preparation)
    finally:
        if preparation.has_session:
            preparation.runner().close()
    return code


def _redraw(app: Application[str]) -> None:
    """Draw the prompt again, from whatever thread; it may be over before the thread gets its turn."""
    if (loop := app.loop) is not None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(app.invalidate)


def _converse(prompt: PromptSession[str], preparation: Preparation) -> int:
    draft, code = "", None
    while code is None:
        try:
            text, draft = prompt.prompt(default=draft), ""
            if text.strip():
                draft, code = _run(preparation.runner(), text)
        except KeyboardInterrupt:
            draft = ""
        except EOFError:
            return 0
    return code


def _run(runner: Runner, text: str) -> tuple[str, int | None]:
    """Run what was typed; return what the next prompt starts with, and the code when the session is over."""
    from dgen.lang.evaluate import Exited

    try:
        runner.run(text)
    except Exited as stop:
        return "", stop.code
    draft, runner.journal.draft = runner.journal.draft, ""
    return draft, None


def _make_prompt(preparation: Preparation) -> PromptSession[str]:
    return PromptSession(
        [("class:prompt", PROMPT)],
        multiline=True,
        prompt_continuation=_continued,
        lexer=StatementLexer(preparation),
        completer=StatementCompleter(preparation),
        complete_in_thread=True,
        auto_suggest=AutoSuggestFromHistory(),
        bottom_toolbar=lambda: toolbar(get_app().current_buffer.document, preparation),
        history=ProjectHistory.here(),
        key_bindings=_keys(preparation),
        enable_open_in_editor=True,
        enable_suspend=True,
        search_ignore_case=True,
        tempfile_suffix=".dgen",
        style=STYLE,
        include_default_pygments_style=False,
    )  # fmt: skip


def _continued(width: int, number: int, is_wrapped: bool | int) -> StyleAndTextTuples:
    return [("class:continued", " " * width if is_wrapped else CONTINUED)]


def _keys(preparation: Preparation) -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        """Take the completion that is chosen; run a whole statement; let any other go on."""
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
            return
        more = _going_on(buffer.text, preparation)
        if more is None:
            buffer.validate_and_handle()
        else:
            buffer.cursor_position = len(buffer.text)
            buffer.insert_text(more)

    @keys.add("escape", "enter", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        """Start another line whatever is on this one."""
        event.current_buffer.insert_text("\n")

    return keys


def _going_on(text: str, preparation: Preparation) -> Any:
    if not text.strip():
        return None
    from dgen.lang.completeness import continuation

    return continuation(text)
