import process from 'node:process';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

/** The least that Hono can do: what the API is held against. Prints its port. */
const app = new Hono();
app.get('/hello', (c) => c.json({ hello: 'world' }));
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => process.stdout.write(`${port}\n`));
