import { Command, CommanderError } from 'commander';
import { CliError, EXIT } from './cli-error.ts';
import { alias } from './commands/alias.ts';
import { approve } from './commands/approve.ts';
import { audit } from './commands/audit.ts';
import { clone } from './commands/clone.ts';
import { completion } from './commands/completion.ts';
import { credential } from './commands/credential.ts';
import { deletion } from './commands/delete.ts';
import { deploy } from './commands/deploy.ts';
import { diff } from './commands/diff.ts';
import { doctor } from './commands/doctor.ts';
import { events } from './commands/events.ts';
import { exportation } from './commands/export.ts';
import { importation } from './commands/import.ts';
import { login, logout } from './commands/login.ts';
import { logs } from './commands/logs.ts';
import { models, versions } from './commands/models.ts';
import { predict } from './commands/predict.ts';
import { pull } from './commands/pull.ts';
import { purge } from './commands/purge.ts';
import { push } from './commands/push.ts';
import { revert } from './commands/revert.ts';
import { rollback } from './commands/rollback.ts';
import { show } from './commands/show.ts';
import { status } from './commands/status.ts';
import { token } from './commands/token.ts';
import { webhooks } from './commands/webhooks.ts';
import { whoami } from './commands/whoami.ts';
import { workspace } from './commands/workspace.ts';
import { VERSION } from './context.ts';
import { closeConnections } from './http.ts';
import { makeOutput } from './output.ts';
import { DEFAULT_URL } from './settings.ts';

const VERBS = [
  login,
  logout,
  whoami,
  push,
  pull,
  clone,
  exportation,
  importation,
  models,
  versions,
  show,
  diff,
  revert,
  alias,
  approve,
  deploy,
  status,
  predict,
  rollback,
  logs,
  events,
  audit,
  deletion,
  purge,
  token,
  webhooks,
  workspace,
  credential,
  doctor,
  completion,
];

const AFTER = `
Environment:
  CAIRN_URL      address of the server (${DEFAULT_URL})
  CAIRN_TOKEN    token, instead of what \`cairn login\` stored
  NO_COLOR       no colours

Exit codes:
  0 done    1 failed    2 usage    3 not found    4 denied    5 conflict
  6 cannot reach the server    130 interrupted

Examples:
  cairn login
  cairn push model.onnx digits -m "first try"
  cairn deploy digits@1
  cairn predict digits --input images.json
  cairn rollback digits --reason "wrong answers"

With --json a command writes one JSON document, with the API's field names, to stdout; errors are JSON on stderr.`;

function makeProgram(): Command {
  const program = new Command('cairn')
    .description('Version, store, deploy, watch and roll back machine-learning models.')
    .version(VERSION)
    .option('--url <url>', 'address of the server')
    .option('--token-file <file>', 'file that holds the token')
    .option('-w, --workspace <name>', 'workspace', 'default')
    .option('--json', 'one JSON document on stdout')
    .option('-q, --quiet', 'no progress and no notes')
    .addHelpText('after', AFTER);
  // Both are inherited by the verbs, so they stand before them.
  program.exitOverride().configureHelp({ showGlobalOptions: true });
  program.configureOutput({ writeErr: () => undefined });
  for (const verb of VERBS) verb(program);
  return program;
}

async function main(argv: readonly string[]): Promise<void> {
  const program = makeProgram();
  try {
    if (argv.length === 0) return program.outputHelp();
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    report(error, argv, program);
  } finally {
    closeConnections();
  }
}

/** Tells what went wrong and sets the exit code. */
function report(error: unknown, argv: readonly string[], program: Command): void {
  const before = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const output = makeOutput({ json: before.includes('--json'), quiet: false });
  if (error instanceof CliError) {
    output.problem(error.problem);
    process.exitCode = error.exitCode;
  } else if (error instanceof CommanderError) {
    if (error.exitCode === 0) return;
    process.exitCode = EXIT.usage;
    output.problem(usageProblem(error, before, program));
  } else {
    const { code, message } = error as NodeJS.ErrnoException;
    output.problem({ code: code ?? 'UNEXPECTED', detail: message });
    process.exitCode = EXIT.failed;
  }
}

function usageProblem({ code, message }: CommanderError, argv: readonly string[], program: Command) {
  const words = ['cairn', ...verbOf(program, argv)].join(' ');
  const fix = `See \`${words} --help\`.`;
  if (code === 'commander.help') return { code: 'USAGE', detail: `"${words}" needs another word.`, fix };
  const detail = message.replace(/^error: /, '').replace(/^./, (first) => first.toUpperCase());
  return { code: 'USAGE', detail, fix };
}

/** The verb that is meant, with the one below it: `token create`. */
function verbOf(parent: Command, [word, ...rest]: readonly string[]): string[] {
  if (word === undefined) return [];
  const verb = parent.commands.find((one) => one.name() === word);
  return verb ? [word, ...verbOf(verb, verb.commands.length > 0 ? rest : [])] : verbOf(parent, rest);
}

// A reader that has seen enough, like `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`cairn: The output cannot be written: ${error.message}.\n`);
  process.exit(EXIT.failed);
});

await main(process.argv.slice(2));
