import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { type Gateway, parseEndpointUrl } from '../../shared/adapters/local/gateway.ts';
import { STORAGE_PATH } from '../../shared/adapters/local/signed-url.ts';

export interface Doors {
  readonly api: RequestListener;
  /** Signed addresses; without it they lead elsewhere. */
  readonly storage?: ((req: IncomingMessage, res: ServerResponse) => Promise<void>) | undefined;
  readonly gateway: Gateway;
  readonly logger: Pick<Logger, 'error'>;
}

/** Sends a request to the door that its path names: bytes and inference never pass through the API. */
export function dispatch({ api, storage, gateway, logger }: Doors): RequestListener {
  const failed = (err: unknown) => logger.error({ err }, 'a request failed');
  return (req, res) => {
    const url = req.url ?? '/';
    if (storage && url.startsWith(STORAGE_PATH)) {
      storage(req, res).catch(failed);
      return;
    }
    const target = url.startsWith('/endpoints/') ? parseEndpointUrl(url) : undefined;
    if (target) {
      gateway(req, res, target).catch(failed);
      return;
    }
    api(req, res);
  };
}
