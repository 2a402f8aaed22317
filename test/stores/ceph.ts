import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, startLocalServer, startProcess, TEST_CREDENTIALS } from '../peers/aws-server.ts';
import { startS3Server } from '../peers/s3-server.ts';

const exec = promisify(execFile);

/** Ceph: a monitor, one OSD that keeps its objects in memory, and radosgw. All paths are below `dir`. */
export const startCeph = () =>
  startS3Server(async (dir) => {
    const config = join(dir, 'ceph.conf');
    const cluster = randomUUID();
    const address = `v2:127.0.0.1:${await freePort()}`;
    await writeFile(config, configuration(dir, cluster, address));
    for (const name of ['mon', 'osd', 'run']) await mkdir(join(dir, name));
    await using stack = new AsyncDisposableStack();
    const daemon = (file: string, ...args: string[]) => {
      const { ended, stop } = startProcess({ file, args: ['-c', config, '-f', ...args], cwd: dir });
      stack.defer(stop);
      return ended;
    };
    /** Waits for what it asks: `ceph` for the monitor, `radosgw-admin` for the OSD. */
    const run = (file: string, ...args: string[]) =>
      exec(file, ['-c', config, ...args], { cwd: dir, timeout: 120_000 });

    const monitors = join(dir, 'monmap');
    await run('monmaptool', '--create', '--fsid', cluster, '--addv', 'a', `[${address}]`, monitors);
    await run('ceph-mon', '-i', 'a', '--mkfs', '--monmap', monitors);
    const monitor = daemon('ceph-mon', '-i', 'a');
    const osd = randomUUID();
    await Promise.race([run('ceph', 'osd', 'new', osd), monitor]);
    await run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd);
    const storage = daemon('ceph-osd', '-i', '0');
    const { accessKeyId, secretAccessKey } = TEST_CREDENTIALS;
    const keys = ['--access-key', accessKeyId, '--secret-key', secretAccessKey];
    const user = run('radosgw-admin', 'user', 'create', '--uid', 'cairn', '--display-name', 'Cairn', ...keys);
    await Promise.race([user, storage]);
    const gateway = await startLocalServer((port) => ({
      file: 'radosgw',
      args: ['-c', config, '-f', '-n', 'client.rgw.a', `--rgw-frontends=beast endpoint=127.0.0.1:${port}`],
      cwd: dir,
    }));
    const daemons = stack.move();
    const stop = async () => {
      await gateway.stop();
      await daemons.disposeAsync();
    };
    return { ...gateway, stop };
  });

/**
 * Without authentication between its parts, which radosgw takes only with `ms_mon_client_mode = crc`: it asks for `secure`, and
 * the keys for that come of authentication.
 */
const configuration = (dir: string, cluster: string, address: string) => `
[global]
fsid = ${cluster}
mon_host = ${address}
public_addr = 127.0.0.1
ms_bind_msgr1 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
keyring = /dev/null
run_dir = ${dir}/run
admin_socket = ${dir}/run/$name.asok
crash_dir = ${dir}/run
log_file =
log_to_stderr = true
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
[mon]
mon_data = ${dir}/mon
mon_cluster_log_file = ${dir}/cluster.log
[osd]
osd_data = ${dir}/osd
osd_objectstore = memstore
memstore_device_bytes = 8589934592
[client]
rgw_data = ${dir}/run
`;
