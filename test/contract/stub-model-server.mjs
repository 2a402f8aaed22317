// Keeps the model server's contract and tells about itself, so that tests can see what a replica is given.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const {
  CAIRN_MODEL_DIR: dir,
  CAIRN_PORT: port,
  CAIRN_HOST: host,
  CAIRN_EXIT_WITH_PARENT: tied,
} = process.env;
const model = readFileSync(join(dir, 'model.onnx'), 'utf8');
if (model.includes('broken')) {
  console.log('{"level":"error","msg":"this model does not load"}');
  process.exit(4);
}
if (tied === '1') process.stdin.on('end', () => process.exit(0)).resume();
const ballast = [];
const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://replica');
  const answer = (status, body) => {
    response.writeHead(status, {
      'content-type': 'application/json',
      'server-timing': 'model;dur=1.5, queue;dur=0.25',
    });
    response.end(JSON.stringify(body));
  };
  let size = 0;
  request.on('data', (chunk) => {
    size += chunk.length;
  });
  request.on('end', () => {
    switch (pathname) {
      case '/v2/die':
        return process.exit(7);
      case '/v2/grow':
        for (let i = 0; i < 30; i++) ballast.push(Buffer.alloc(10_000_000, 1));
        return answer(200, { mebibytes: 300 });
      case '/v2/half':
        response.writeHead(200, { 'content-length': '1000' });
        response.write('x');
        return setTimeout(() => process.exit(7), 20);
      case '/v2/never':
        return;
      case '/v2/slow':
        return setTimeout(() => answer(200, { pid: process.pid }), Number(searchParams.get('ms')));
      case '/v2/read': {
        try {
          return answer(200, {
            found: existsSync(searchParams.get('path')),
            text: readFileSync(searchParams.get('path'), 'utf8').slice(0, 20),
          });
        } catch (error) {
          return answer(200, { error: error.code });
        }
      }
      case '/v2/fail':
        return answer(500, { error: 'as asked' });
      default:
        return answer(200, {
          pid: process.pid,
          port: server.address().port,
          cwd: process.cwd(),
          env: process.env,
          headers: request.headers,
          size,
          url: request.url,
          model,
        });
    }
  });
});
server.listen(Number(port), host, () => {
  console.log('{"level":"info","msg":"hello from the stub"}');
  console.log(JSON.stringify({ ready: true, port: server.address().port }));
});
process.on('SIGTERM', () => server.close(() => process.exit(0)));
