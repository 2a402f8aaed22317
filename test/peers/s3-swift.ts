import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { startLocalServer, TEST_CREDENTIALS } from './aws-server.ts';
import { pythonEnv } from './python.ts';
import { startS3Server } from './s3-server.ts';

const exec = promisify(execFile);

/** tempauth's: `account:user`. */
const ACCESS_KEY_ID = 'cairn:test';
const KINDS = ['account', 'container', 'object'] as const;

/**
 * OpenStack Swift with its S3 API: a proxy and one server of each kind, below a folder whose file system has extended attributes.
 * @param middleware `copy` has to stand before `slo`: the other way round it copies the list of an object's parts instead of them
 */
export const startSwift = (middleware = 'copy slo dlo') =>
  startS3Server(async (dir) => {
    const bin = dirname(await pythonEnv('swift', 'swift==2.38.3\n'));
    await mkdir(join(dir, 'objects/disk'), { recursive: true });
    await writeFile(join(dir, 'swift.conf'), '[swift-hash]\nswift_hash_path_suffix = cairn\n');
    const serve = (kind: string, config: (port: number) => string) =>
      startLocalServer((port) => {
        writeFileSync(join(dir, `${kind}.conf`), config(port));
        return { file: join(bin, `swift-${kind}-server`), args: [`${kind}.conf`], cwd: dir };
      });
    await using stack = new AsyncDisposableStack();
    await Promise.all(
      KINDS.map(async (kind) => {
        const { endpoint, stop } = await serve(kind, (port) => server(dir, kind, port));
        stack.defer(stop);
        const ring = (...args: string[]) =>
          exec(join(bin, 'swift-ring-builder'), [`${kind}.builder`, ...args], { cwd: dir });
        await ring('create', '4', '1', '0');
        await ring('add', `r1z1-${new URL(endpoint).host}/disk`, '1');
        await ring('rebalance');
      }),
    );
    const gateway = await serve('proxy', (port) => proxy(dir, port, middleware));
    const servers = stack.move();
    const stop = async () => {
      await gateway.stop();
      await servers.disposeAsync();
    };
    return { ...gateway, stop, accessKeyId: ACCESS_KEY_ID };
  });

const common = (dir: string, port: number) => `
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
swift_dir = ${dir}
log_level = WARNING
log_address = ${dir}/no-syslog
`;

const server = (dir: string, kind: string, port: number) => `${common(dir, port)}
devices = ${dir}/objects
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = ${kind}-server
[app:${kind}-server]
use = egg:swift#${kind}
`;

const proxy = (dir: string, port: number, middleware: string) => `${common(dir, port)}
[pipeline:main]
pipeline = catch_errors cache s3api tempauth ${middleware} proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_cairn_test = ${TEST_CREDENTIALS.secretAccessKey} .admin
[filter:slo]
use = egg:swift#slo
[filter:copy]
use = egg:swift#copy
[filter:dlo]
use = egg:swift#dlo
`;
