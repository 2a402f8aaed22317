/** What `cairn` exits with; documented in `cairn --help`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  conflict: 5,
  unreachable: 6,
  /** 128 + SIGINT, as shells have it. */
  interrupted: 130,
} as const;

type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What went wrong, with the field names of the API's problem documents (RFC 9457). */
export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly field?: string;
  readonly fix?: string;
  readonly requestId?: string;
  readonly status?: number;
}

/** An error that a person can act on. It ends the command with `exitCode`. */
export class CliError extends Error {
  readonly problem: Problem;
  readonly exitCode: ExitCode;
  constructor(problem: Problem, exitCode: ExitCode = EXIT.failed) {
    super(problem.detail);
    this.name = 'CliError';
    this.problem = problem;
    this.exitCode = exitCode;
  }
}

/** Arguments that make no sense. */
export const usageError = (detail: string, fix?: string) =>
  new CliError({ code: 'USAGE', detail, ...(fix === undefined ? {} : { fix }) }, EXIT.usage);

/** The exit code for an HTTP status of the API. */
export function exitCodeOf(status: number): ExitCode {
  switch (status) {
    case 400:
      return EXIT.usage;
    case 401:
    case 403:
      return EXIT.denied;
    case 404:
      return EXIT.notFound;
    case 409:
    case 412:
      return EXIT.conflict;
    default:
      return EXIT.failed;
  }
}

/** Whether the server answered with this error code. */
export const hasCode = (error: unknown, ...codes: string[]): error is CliError =>
  error instanceof CliError && codes.includes(error.problem.code);
