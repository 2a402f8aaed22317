import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import process from 'node:process';
import { type Listening, listenOnLoopback } from './listen-on-loopback.ts';

/** `git http-backend`, Git's own server, over the bare repositories in a folder: what ours is compared with. */
export function startHttpBackend(root: string): Promise<Listening> {
  const server = createServer((req, res) => {
    const [path = '', query = ''] = (req.url ?? '').split('?');
    const child = spawn('git', ['http-backend'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_NOSYSTEM: '1',
        HOME: root,
        REMOTE_USER: 'ada',
        REMOTE_ADDR: '127.0.0.1',
        REQUEST_METHOD: req.method ?? 'GET',
        PATH_INFO: decodeURIComponent(path),
        QUERY_STRING: query,
        CONTENT_TYPE: req.headers['content-type'] ?? '',
        ...(req.headers['content-length'] && { CONTENT_LENGTH: req.headers['content-length'] }),
        ...(req.headers['content-encoding'] && { HTTP_CONTENT_ENCODING: req.headers['content-encoding'] }),
        ...(req.headers['git-protocol'] && { GIT_PROTOCOL: String(req.headers['git-protocol']) }),
      },
    });
    child.stdin.on('error', () => undefined);
    req.pipe(child.stdin);
    let head: Buffer | undefined = Buffer.alloc(0);
    child.stdout.on('data', (chunk: Buffer) => {
      if (head === undefined) {
        res.write(chunk);
        return;
      }
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const headers = head
        .toString('latin1', 0, end)
        .split('\r\n')
        .map((line): [string, string] => [
          line.slice(0, line.indexOf(':')),
          line.slice(line.indexOf(':') + 1).trim(),
        ]);
      const status = headers.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200';
      res.writeHead(
        Number.parseInt(status, 10),
        headers.filter(([name]) => name.toLowerCase() !== 'status').flat(),
      );
      res.write(head.subarray(end + 4));
      head = undefined;
    });
    child.stdout.on('end', () => res.end());
  });
  return listenOnLoopback(server);
}
