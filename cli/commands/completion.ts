import type { Command, Option } from 'commander';
import { usageError } from '../cli-error.ts';

/**
 * What a shell asks `cairn complete` with the words so far, the one that is being written last. Its answer is a candidate a
 * line, with what it means behind a tab; without one the shell completes files.
 */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_cairn() {
  local IFS=$'\\n'
  COMPREPLY=($(cairn complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -o default -F _cairn cairn
`,
  zsh: `#compdef cairn
_cairn() {
  local -a found options
  found=("\${(@f)$(cairn complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found[1] ]]; then
    found=("\${(@)found/$'\\t'/:}")
    [[ $words[CURRENT] == -* ]] && options=(-o)
    _describe $options cairn found
  else
    _files
  fi
}
compdef _cairn cairn
`,
  fish: `function __cairn_complete
  set -l current (commandline -ct)
  set -l words (commandline -opc) "$current"
  cairn complete -- $words[2..-1] 2>/dev/null
end
complete -c cairn -a '(__cairn_complete)'
complete -c cairn -f -n 'count (__cairn_complete) >/dev/null'
`,
};

export function completion(program: Command): void {
  program
    .command('completion')
    .description('print a script with which your shell completes verbs and options')
    .argument('<shell>', Object.keys(SCRIPTS).join(', '))
    .addHelpText(
      'after',
      `
It needs \`cairn\` on the path: \`npm install -g .\`. Names of models are not completed.

Examples:
  echo 'eval "$(cairn completion bash)"' >> ~/.bashrc
  echo 'eval "$(cairn completion zsh)"' >> ~/.zshrc      # below compinit
  cairn completion fish > ~/.config/fish/completions/cairn.fish`,
    )
    .action((shell: string) => {
      const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
      if (script === undefined)
        throw usageError(
          `There is no script for "${shell}".`,
          `There are ${Object.keys(SCRIPTS).join(', ')}.`,
        );
      process.stdout.write(script);
    });
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action((words: string[]) => {
      for (const [name, meaning] of candidates(program, words)) process.stdout.write(`${name}\t${meaning}\n`);
    });
}

/** What the last of the words may become, with what it means; nothing where a path or a name is expected. */
export function candidates(program: Command, words: readonly string[]): [name: string, meaning: string][] {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  if (before.includes('--')) return [];
  let command = program;
  for (let at = 0; at < before.length; at++) {
    const word = before[at] ?? '';
    if (word.startsWith('-')) {
      const option = optionOf(command, word);
      if (option && takesValue(option) && !word.includes('=') && ++at === before.length) return [];
    } else command = command.commands.find((one) => one.name() === word) ?? command;
  }
  const found = current.startsWith('-')
    ? optionsOf(command).map((option): [string, string] => [option.long ?? option.flags, option.description])
    : command
        .createHelp()
        .visibleCommands(command)
        .map((one): [string, string] => [one.name(), one.description()]);
  return found.filter(([name]) => name.startsWith(current));
}

/** Its own and those of what it stands below. */
function optionsOf(command: Command): Option[] {
  const own = command.createHelp().visibleOptions(command);
  return command.parent ? [...own, ...command.parent.options] : own;
}

const optionOf = (command: Command, word: string) =>
  optionsOf(command).find(({ long, short }) => word === short || word.split('=')[0] === long);

const takesValue = ({ required, optional }: Option) => required || optional;
