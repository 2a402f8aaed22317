const COMMON = ['shared', 'package.json', 'package-lock.json', '.npmrc'];

/** What the image of each functions/<name>/Dockerfile is made of; nothing else is sent to the engine that builds it. */
export const IMAGE_SOURCES = {
  'model-server': ['functions/model-server', 'tools/bundle-model-server.ts', ...COMMON],
  'python-server': [
    'functions/python-server',
    'functions/model-server',
    'tools/bundle-python-server.ts',
    'tools/bundle-model-server.ts',
    ...COMMON,
  ],
} as const;

export type ImageName = keyof typeof IMAGE_SOURCES;
