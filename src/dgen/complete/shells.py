"""Writes what bash, zsh and fish need to complete command lines: one table from the rows, drawn three times."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from dgen.builtin import builtin_models
from dgen.complete.candidates import Candidate, first_sentence
from dgen.complete.values import Ask, candidates_of
from dgen.help import all_rows, topics
from dgen.lang.directives import directives
from dgen.lang.functions import functions
from dgen.options.commands import COMMANDS, Command
from dgen.schema import Option
from dgen.values.image_seed import ImageSeedText
from dgen.values.scalars import FilePath, ModelSource
from dgen.values.uri import Uri

PROGRAMS = ("dgen", "dgenerate")
_SHORTEST_SCRIPT = "SCRIPT", "FILE"


@dataclass(frozen=True, slots=True)
class Offer:
    """What may stand at a place: words, and paths of a kind (`files`, `folders`, or none)."""

    words: tuple[Candidate, ...] = ()
    paths: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """An option as a shell knows it: how it is written, how many words it takes (0, 1, or -1 for any number)."""

    spellings: tuple[str, ...]
    help: str
    takes: int
    offer: Offer


@dataclass(frozen=True, slots=True)
class Section:
    """The commands that complete alike."""

    commands: tuple[str, ...]  # "" is no command
    flags: tuple[Flag, ...]
    words: Offer  # that stand by themselves
    first: Offer | None = None  # as the first word, when that is something else


def sections() -> Iterator[Section]:
    """Yield what can be completed, for all commands."""
    every = tuple(map(_flag, (r for r in all_rows().values() if r.spellings)))
    plain = [c for c in COMMANDS.values() if not c.rows]
    scripts = Offer(paths="files")
    yield Section(("",), every, scripts, Offer((*_commands(), *_models()), "files"))
    yield Section(tuple(c.name for c in plain), every, scripts)
    for command in COMMANDS.values():
        if command.rows:
            own = tuple(map(_flag, (r for r in command.rows.values() if r.spellings)))
            yield Section((command.name,), (*own, _HELP), _words_of(command))


_HELP = Flag(("--help", "-h"), "Show help", 0, Offer())


def _words_of(command: Command) -> Offer:
    row = next((r for r in command.rows.values() if r.positional), None)
    if row is not None:
        return _offer(row)
    return Offer(paths="files" if any(word in command.arguments for word in _SHORTEST_SCRIPT) else "")


def _flag(row: Option) -> Flag:
    takes = 0 if not row.takes_value else -1 if row.takes_many else 1
    return Flag(row.spellings, first_sentence(row.help), takes, _offer(row) if takes else Offer())


def _offer(row: Option) -> Offer:
    kind = row.value
    if isinstance(kind, Uri):
        kind = next(r for r in kind.rows().values() if r.positional).value
    if isinstance(kind, FilePath):
        return Offer(paths="folders" if kind.metavar == "FOLDER" else "files")
    if isinstance(kind, ModelSource):
        return Offer(_models(), "files")
    if isinstance(kind, ImageSeedText):
        return Offer(paths="files")
    if row.name in _NAMES and row.stage.name == "APP":
        return Offer(_NAMES[row.name]())
    return Offer(tuple(candidates_of(Ask(row, ""))))


@cache
def _models() -> tuple[Candidate, ...]:
    return tuple(Candidate(m.source, first_sentence(m.help)) for m in builtin_models() if m.kind == "model")


@cache
def _commands() -> tuple[Candidate, ...]:
    return tuple(Candidate(c.name, c.help) for c in COMMANDS.values())


def _topics() -> tuple[Candidate, ...]:
    return tuple(Candidate(name, "options of this topic") for name in topics(all_rows()))


def _directives() -> tuple[Candidate, ...]:
    rows = {row.name: row for row in directives().values()}
    return tuple(Candidate(row.name, first_sentence(row.help)) for row in rows.values())


def _functions() -> tuple[Candidate, ...]:
    return tuple(Candidate(row.name, first_sentence(row.help)) for row in functions().values())


_NAMES: Mapping[str, Callable[[], tuple[Candidate, ...]]] = {
    "help": _topics, "directives_help": _directives, "functions_help": _functions, "sub_command": _commands,
    "sub_command_help": _commands,
}  # fmt: skip


# ---- drawing ---------------------------------------------------------------------------------------------------


def _flag_words(section: Section) -> Iterator[Candidate]:
    for flag in section.flags:
        yield from (Candidate(spelling, flag.help) for spelling in flag.spellings)


def _distinct(flags: Iterable[Flag]) -> Iterator[Flag]:
    """Yield the options after which something can be offered, or which take words at all."""
    return (flag for flag in flags if flag.takes)


BASH = """\
# Completion of dgen for bash: eval "$(dgen completion bash)"
_dgen_offer() {  # sets words, paths and most, for a command and the option before the cursor
    words= paths= most=0
    case $1 in
@SECTIONS@
    esac
}
_dgen() {
    local line=${COMP_LINE:0:COMP_POINT} command= option= count=0 words paths most i word
    local cur=${line##*[[:space:]]} before
    read -ra before <<< "${line%"$cur"}"
    case ${before[1]} in @COMMANDS@) command=${before[1]} ;; esac
    for ((i = 1; i < ${#before[@]}; i++)); do
        if [[ ${before[i]} == -[a-zA-Z-]* ]]; then option=${before[i]} count=0; else ((count++)); fi
    done
    if [[ $cur == -* ]]; then
        _dgen_offer "$command" -
    else
        _dgen_offer "$command" "$option"
        if ((most >= 0 && count >= most)) || [[ -z $option ]]; then _dgen_offer "$command" ''; fi
        ((${#before[@]} == 1)) && _dgen_offer '' first
    fi
    COMPREPLY=()
    while read -r word; do
        [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$word")
    done <<< "$words"
    if [[ -n $paths ]]; then
        compopt -o filenames 2> /dev/null
        local how=-f
        [[ $paths == folders ]] && how=-d
        while read -r word; do COMPREPLY+=("$word"); done < <(compgen "$how" -- "$cur")
    fi
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then  # bash takes what stands before a colon for a word
        local head=${cur%"${cur##*:}"}
        for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$head"}; done
    fi
}
complete -F _dgen @PROGRAMS@
"""


def bash() -> str:
    """Write the script for bash, which shows no help beside what it offers."""

    def offer(words: Iterable[Candidate], paths: str, most: int) -> str:
        return f"words={shlex.quote(chr(10).join(c.text for c in words))} paths={paths} most={most}"

    return _filled(BASH, offer)


ZSH = """\
#compdef @PROGRAMS@
# Completion of dgen for zsh: eval "$(dgen completion zsh)", or a file `_dgen` in a folder of $fpath
_dgen_offer() {  # sets offered, paths and most, for a command and the option before the cursor
    offered=() paths= most=0
    case $1 in
@SECTIONS@
    esac
}
_dgen() {
    local command= option= paths most word cur=$PREFIX
    local -a offered
    local -i count=0
    case ${words[2]} in @COMMANDS@) ((CURRENT > 2)) && command=${words[2]} ;; esac
    for word in "${(@)words[2,CURRENT-1]}"; do
        if [[ $word == -[a-zA-Z-]* ]]; then option=$word count=0; else ((count++)); fi
    done
    if [[ $cur == -* ]]; then
        _dgen_offer "$command" -
    else
        _dgen_offer "$command" "$option"
        if ((most >= 0 && count >= most)) || [[ -z $option ]]; then _dgen_offer "$command" ''; fi
        ((CURRENT == 2)) && _dgen_offer '' first
    fi
    ((${#offered})) && _describe -V 'dgen' offered
    [[ $paths == files ]] && _files
    [[ $paths == folders ]] && _files -/
}
if [[ $funcstack[1] == _dgen ]]; then _dgen "$@"; else compdef _dgen @PROGRAMS@; fi
"""


def zsh() -> str:
    """Write the script for zsh."""

    def offer(words: Iterable[Candidate], paths: str, most: int) -> str:
        listed = " ".join(shlex.quote(f"{c.text.replace(':', chr(92) + ':')}:{c.help}") for c in words)
        return f"offered=({listed}) paths={paths} most={most}"

    return _filled(ZSH, offer)


def _filled(template: str, offer: Callable[[Iterable[Candidate], str, int], str]) -> str:
    lines: list[str] = []
    for section in sections():
        lines.append(f"    {'|'.join(shlex.quote(name) for name in section.commands)})")
        lines.append("        case $2 in")
        lines.append(f"        '') {offer(section.words.words, section.words.paths, 0)} ;;")
        if section.first is not None:
            lines.append(f"        first) {offer(section.first.words, section.first.paths, 0)} ;;")
        lines.append(f"        -) {offer(_flag_words(section), '', 0)} ;;")
        for flag in _distinct(section.flags):
            lines.append(
                f"        {'|'.join(flag.spellings)}) {offer(flag.offer.words, flag.offer.paths, flag.takes)} ;;"
            )
        lines += ["        esac ;;"]
    filled = template.replace("@SECTIONS@", "\n".join(lines)).replace("@COMMANDS@", "|".join(COMMANDS))
    return filled.replace("@PROGRAMS@", " ".join(PROGRAMS))


FISH = """\
# Completion of dgen for fish: dgen completion fish | source
function __dgen_offer --argument-names command option  # prints how many words may follow, and what may stand there
    switch "$command"
@SECTIONS@
    end
end
function __dgen_complete
    set -l before (commandline -opc)
    set -l cur (commandline -ct)
    set -l command ''
    set -l option ''
    set -l count 0
    contains -- "$before[2]" @COMMANDS@; and set command $before[2]
    for word in $before[2..]
        if string match -qr -- '^-[a-zA-Z-]' $word
            set option $word
            set count 0
        else
            set count (math $count + 1)
        end
    end
    set -l offered
    if string match -q -- '-*' "$cur"
        set offered (__dgen_offer "$command" -)
    else
        set offered (__dgen_offer "$command" "$option")
        set -l most $offered[1]
        if test -z "$option" -o -z "$most"; or test "$most" -ge 0 -a $count -ge "$most"
            set offered (__dgen_offer "$command" '')
        end
        test (count $before) -eq 1; and set offered (__dgen_offer '' first)
    end
    for each in $offered[3..]
        printf '%s\\n' $each
    end
    switch "$offered[2]"
        case files
            __fish_complete_path "$cur"
        case folders
            __fish_complete_directories "$cur"
    end
end
@PROGRAMS@
"""


def fish() -> str:
    """Write the script for fish."""
    lines: list[str] = []
    for section in sections():
        lines.append(f"        case {' '.join(map(_fish_quote, section.commands))}")
        lines.append('            switch "$option"')
        lines += _fish_case(("",), section.words, 0)
        lines += _fish_case(("first",), section.first, 0) if section.first is not None else []
        lines += _fish_case(("-",), Offer(tuple(_flag_words(section))), 0)
        for flag in _distinct(section.flags):
            lines += _fish_case(flag.spellings, flag.offer, flag.takes)
        lines.append("            end")
    programs = "\n".join(f"complete -c {name} -f -k -a '(__dgen_complete)'" for name in PROGRAMS)
    filled = FISH.replace("@SECTIONS@", "\n".join(lines)).replace("@COMMANDS@", " ".join(COMMANDS))
    return filled.replace("@PROGRAMS@", programs)


def _fish_case(names: tuple[str, ...], offer: Offer, takes: int) -> list[str]:
    words = " ".join(_fish_quote(f"{c.text}\t{c.help}" if c.help else c.text) for c in offer.words)
    said = f"printf '%s\\n' {takes} {_fish_quote(offer.paths)} {words}".rstrip()
    return [f"                case {' '.join(map(_fish_quote, names))}", f"                    {said}"]


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: Mapping[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
