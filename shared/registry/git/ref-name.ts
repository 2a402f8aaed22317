/** Whether Git takes this as a ref's name. Source: Git's Documentation/git-check-ref-format. */
export function isRefName(name: string): boolean {
  return (
    name.startsWith('refs/') &&
    Buffer.byteLength(name) <= 1024 &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what a ref must not have
    !/[\u0000-\u0020\u007f~^:?*[\\]/.test(name) &&
    !name.includes('..') &&
    !name.includes('@{') &&
    !name.endsWith('.') &&
    name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock')) &&
    name.split('/').length >= 3
  );
}
