import { defineConfig, mergeConfig } from 'vitest/config';
import peers from './vitest.peers.config.ts';

/** `npm run test:stores`: S3 servers that take longer to build or to install than CI has. */
export default mergeConfig(
  { ...peers, test: { ...peers.test, include: [] } },
  defineConfig({ test: { include: ['test/stores/**/*.test.ts'] } }),
);
