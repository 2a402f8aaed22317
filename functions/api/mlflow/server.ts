import { object } from './input.ts';
import { type Route, route } from './route.ts';

const NOTHING = object({});

/** What the client asks to learn how the server is set up, before it has a token. */
export const serverRoutes: readonly Route[] = [
  route(
    'GET',
    'server-info',
    NOTHING,
    async () => ({
      store_type: 'Cairn',
      workspaces_enabled: true,
      trace_archival_enabled: false,
      // A plain PUT of any size streams here. Where requests are bounded, on AWS, the client is told to send parts.
      multipart_uploads_enabled: false,
      multipart_downloads_enabled: true,
      presigned_upload_run_id_supported: false,
      presigned_upload_model_id_supported: false,
      features_enabled: { gateway: false },
    }),
    { open: true },
  ),
];
