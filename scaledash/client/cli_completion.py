"""Completion of commands and options in bash, zsh and fish."""

from __future__ import annotations

import argparse
from typing import Any

SHELLS = ("bash", "zsh", "fish")
BASH = """_scaledash() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local options="" choices=""
    if [ "$COMP_CWORD" -le 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    case "$word" in
        -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
        *)
            if [ -n "$choices" ]; then
                COMPREPLY=($(compgen -W "$choices" -- "$word"))
            else
                compopt -o filenames 2> /dev/null
                COMPREPLY=($(compgen -f -- "$word"))
            fi ;;
    esac
}}
complete -F _scaledash scaledash"""
ZSH = """(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -u }}
autoload -Uz bashcompinit && bashcompinit
{script}"""


def write_completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script that a shell reads to complete `scaledash`."""
    commands = find_commands(parser)
    if shell == "fish":
        return "\n".join(_write_fish(commands))
    cases = "\n".join(f"        {_write_case(*item)}" for item in commands.items())
    script = BASH.format(cases=cases, commands=" ".join([*commands, "--help", "--version"]))
    return ZSH.format(script=script) if shell == "zsh" else script


def find_commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands of a parser by name."""
    groups: list[Any] = [action for action in parser._actions if _has_commands(action)]
    return {name: found for group in groups for name, found in group.choices.items()}


def _has_commands(action: argparse.Action) -> bool:
    return isinstance(action, argparse._SubParsersAction)


def _options(command: argparse.ArgumentParser) -> list[str]:
    return [
        text
        for action in command._actions
        for text in action.option_strings
        if text.startswith("--")
    ]


def _write_case(name: str, command: argparse.ArgumentParser) -> str:
    """Return what completes one command: its options, and the values of those that have a list."""
    parts = [f'{name}) options="{" ".join(_options(command))}"']
    first = next(iter(_list_choices(command, is_option=False)), None)
    if first is not None:
        parts.append(f'[ "$COMP_CWORD" -eq 2 ] && choices="{first[1]}"')
    for flag, values in _list_choices(command, is_option=True):
        parts.append(f'[ "$before" = "{flag}" ] && choices="{values}"')
    return "; ".join(parts) + " ;;"


def _list_choices(command: argparse.ArgumentParser, is_option: bool) -> list[tuple[str, str]]:
    """Return (option or name, its values) of the arguments that take one of a list."""
    return [
        (
            action.option_strings[-1] if is_option else action.dest,
            " ".join(map(str, action.choices)),
        )
        for action in command._actions
        if action.choices and bool(action.option_strings) == is_option
    ]


def _write_fish(commands: dict[str, argparse.ArgumentParser]) -> list[str]:
    names = " ".join(commands)
    lines = [f"complete -c scaledash -n '__fish_use_subcommand' -f -a '{names}'"]
    for name, command in commands.items():
        seen = f"complete -c scaledash -n '__fish_seen_subcommand_from {name}'"
        lines += [f"{seen} -l {text[2:]}" for text in _options(command)]
        for flag, values in _list_choices(command, is_option=True):
            lines.append(f"{seen} -l {flag[2:]} -x -a '{values}'")
        lines += [f"{seen} -a '{values}'" for _, values in _list_choices(command, is_option=False)]
    return lines
