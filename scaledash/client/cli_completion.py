"""Completion of commands and options in bash, zsh and fish."""

from __future__ import annotations

import argparse
from typing import Any

SHELLS = ("bash", "zsh", "fish")
BASH = """_scaledash() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}"
    case "${{COMP_WORDS[1]}}" in
{cases}
        *) COMPREPLY=($(compgen -W "{commands}" -- "$word")) ; return ;;
    esac
    case "$word" in
        -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
        *) COMPREPLY=($(compgen -f -- "$word")) ;;
    esac
}}
complete -o filenames -F _scaledash scaledash"""
ZSH = "autoload -Uz bashcompinit && bashcompinit\n"


def write_completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script that a shell reads to complete `scaledash`."""
    commands = find_commands(parser)
    if shell == "fish":
        return "\n".join(_write_fish(commands))
    cases = "\n".join(
        f'        {name}) [ "$COMP_CWORD" -gt 1 ] && local options="{" ".join(_options(command))}"'
        f' || {{ COMPREPLY=($(compgen -W "{" ".join(commands)}" -- "$word")) ; return ; }} ;;'
        for name, command in commands.items()
    )
    script = BASH.format(cases=cases, commands=" ".join([*commands, "--help", "--version"]))
    return ZSH + script if shell == "zsh" else script


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


def _write_fish(commands: dict[str, argparse.ArgumentParser]) -> list[str]:
    names = " ".join(commands)
    lines = [f"complete -c scaledash -n '__fish_use_subcommand' -f -a '{names}'"]
    for name, command in commands.items():
        lines += [
            f"complete -c scaledash -n '__fish_seen_subcommand_from {name}' -l {text[2:]}"
            for text in _options(command)
        ]
    return lines
