/** A `git fast-import` stream: `commits` commits of `width` files each in folders, one file changed by each. */
export function linearHistory(commits: number, width: number): string {
  const lines: string[] = [];
  const file = (n: number, text: string) =>
    `M 100644 inline part${n % 10}/file${n}.txt\ndata ${Buffer.byteLength(text)}\n${text}\n`;
  for (let n = 0; n < commits; n++) {
    const message = `commit ${n}`;
    const who = `Ada Lovelace <ada@example.org> ${1_600_000_000 + n * 60} +0000`;
    lines.push(
      `commit refs/heads/main\nmark :${n + 1}\nauthor ${who}\ncommitter ${who}\ndata ${message.length}\n${message}\n`,
      n === 0 ? '' : `from :${n}\n`,
      n === 0
        ? Array.from({ length: width }, (_, k) => file(k, `file ${k}\n`)).join('')
        : file((n * 7919) % width, `changed by ${n}\n`),
      '\n',
    );
  }
  lines.push('done\n');
  return lines.join('');
}

const WHO = (at: number) => `Ada Lovelace <ada@example.org> ${1_700_000_000 + at} +0130`;
const data = (text: string | Buffer) => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from('\n')]);
};

/** What Git can hold and few repositories have: octopus merges, names in no encoding, submodules, tags of everything. */
export function strangeHistory(): Buffer {
  const parts: (string | Buffer)[] = [];
  const commit = (
    ref: string,
    mark: number,
    message: string,
    from: readonly number[],
    files: (string | Buffer)[],
  ) => {
    parts.push(`commit ${ref}\nmark :${mark}\nauthor ${WHO(mark)}\ncommitter ${WHO(mark)}\n`, data(message));
    for (const [index, parent] of from.entries())
      parts.push(`${index === 0 ? 'from' : 'merge'} :${parent}\n`);
    parts.push(...files, '\n');
  };
  const file = (mode: string, path: string | Buffer, text: string) =>
    Buffer.concat([Buffer.from(`M ${mode} inline `), Buffer.from(path), Buffer.from('\n'), data(text)]);
  parts.push('blob\nmark :900\n', data('a blob that only a tag names\n'));
  commit(
    'refs/heads/main',
    1,
    'first\n\nwith a body\n',
    [],
    [file('100644', 'README.md', '# one\n'), file('100755', 'run.sh', '#!/bin/sh\n')],
  );
  commit(
    'refs/heads/main',
    2,
    'links and submodules',
    [1],
    [
      file('120000', 'link', 'README.md'),
      'M 160000 0123456789012345678901234567890123456789 sub\n',
      file('100644', '"na\\303\\257ve \\"name\\"\\t.txt"', 'quoted'),
      Buffer.concat([Buffer.from('M 100644 inline "raw-\\377\\376.bin"\n'), data('no encoding')]),
    ],
  );
  commit('refs/heads/a', 3, 'a', [1], [file('100644', 'a.txt', 'a')]);
  commit('refs/heads/b', 4, 'b', [1], [file('100644', 'b.txt', 'b')]);
  commit('refs/heads/c', 5, 'c', [1], [file('100644', 'deep/er/and/deeper/c.txt', 'c')]);
  commit(
    'refs/heads/main',
    6,
    'octopus',
    [2, 3, 4, 5],
    [file('100644', 'a.txt', 'a'), file('100644', 'b.txt', 'b')],
  );
  commit('refs/heads/main', 7, 'rename', [6], ['R a.txt moved/a.txt\n', 'R README.md README\n']);
  commit(
    'refs/heads/orphan',
    8,
    'another root, no message follows',
    [],
    [file('100644', 'foo', '1'), file('100644', 'foo.bar', '2'), file('100644', 'foo-dir/x', '3')],
  );
  commit('refs/heads/main', 9, 'merge of unrelated histories', [7, 8], [file('100644', 'foo', '1')]);
  commit('refs/heads/empty', 10, '', [9], []);
  parts.push(
    `commit refs/heads/latin\nmark :11\nauthor ${WHO(11)}\ncommitter ${WHO(11)}\nencoding ISO-8859-1\n`,
    data(Buffer.from([0xe9, 0xe8])),
    'from :9\n\n',
  );
  parts.push(`tag annotated\nfrom :7\ntagger ${WHO(20)}\n`, data('an annotated tag\n'));
  parts.push(
    `tag signed\nfrom :9\ntagger ${WHO(21)}\n`,
    data('signed\n-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n'),
  );
  parts.push(`tag of-a-blob\nfrom :900\ntagger ${WHO(22)}\n`, data('a blob\n'));
  parts.push('reset refs/tags/light\nfrom :6\n\n', 'reset refs/tags/dir/light\nfrom :1\n\n', 'done\n');
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}
