import { html, raw } from 'hono/html';

type Html = ReturnType<typeof html>;

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: boolean | Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly example?: unknown;
}

interface Media {
  readonly schema?: Schema;
}

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly {
    name: string;
    in: string;
    required?: boolean;
    schema?: Schema;
    description?: string;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<
    Record<string, { description: string; content?: Readonly<Record<string, Media>> }>
  >;
}

interface Document {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { name: string; description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

/**
 * The OpenAPI document as one page to read: no script, nothing loaded from anywhere. A viewer from npm would bring 2 to
 * 10 MB, scripts that a strict content security policy has to make room for, and in some a call home.
 */
export function renderDocs(document: object): string {
  const { info, tags, paths, components } = document as Document;
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Route => ({ method, path, operation })),
  );
  const groups = tags.map((tag) => ({
    ...tag,
    routes: routes.filter(({ operation }) => operation.tags.includes(tag.name)),
  }));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API ${info.version}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<nav aria-label="Routes">
<p><strong>${info.title}</strong> ${info.version}<br><a href="openapi.json">openapi.json</a></p>
${groups.map(({ name, routes }) => html`<details open><summary>${name}</summary><ul>${routes.map(navItem)}</ul></details>`)}
<details><summary>schemas</summary><ul>${Object.keys(components.schemas).map((name) => html`<li><a href="#schema-${name}">${name}</a></li>`)}</ul></details>
</nav>
<main>
<h1>${info.title} API</h1>
${info.description.split('\n\n').map((paragraph) => html`<p>${prose(paragraph)}</p>`)}
${groups.map((group) => html`<section><h2 id="${group.name}">${group.name}</h2><p>${group.description}</p>${group.routes.map((route) => article(route, components.schemas))}</section>`)}
<section><h2 id="schemas">schemas</h2>${Object.entries(components.schemas).map(([name, schema]) => schemaArticle(name, schema))}</section>
</main>
</body>
</html>`;
  return String(page);
}

const navItem = ({ operation }: Route) =>
  html`<li><a href="#${operation.operationId}">${operation.summary}</a></li>`;

function article({ method, path, operation }: Route, schemas: Document['components']['schemas']): Html {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const body = Object.values(requestBody?.content ?? {})[0]?.schema;
  return html`<article id="${operationId}">
<h3><a href="#${operationId}">${summary}</a></h3>
<p class="route"><b class="${method}">${method.toUpperCase()}</b> <code>${path}</code>${operation.security?.length === 0 ? html` <i>open</i>` : ''}</p>
${description === undefined ? '' : html`<p>${prose(description)}</p>`}
${
  parameters.length === 0
    ? ''
    : html`<table><caption>Parameters</caption>${parameters.map(
        ({ name, in: place, required, schema, description: text }) =>
          html`<tr><th scope="row"><code>${name}</code>${required ? '' : html` <i>optional</i>`}</th><td>${place}</td><td>${typeOf(schema)}</td><td>${prose(text ?? schema?.description ?? '')}${fallback(schema)}</td></tr>`,
      )}</table>`
}
${body === undefined ? '' : html`<h4>Body</h4>${schemaTable(resolve(body, schemas))}${curl(method, path, resolve(body, schemas))}`}
<table><caption>Answers</caption>${Object.entries(responses).map(
    ([status, { description: text, content }]) =>
      html`<tr><th scope="row">${status}</th><td>${prose(text)}</td><td>${Object.entries(content ?? {}).map(([type, { schema }]) => html`${typeOf(schema)} <small>${type}</small>`)}</td></tr>`,
  )}</table>
</article>`;
}

const schemaArticle = (name: string, schema: Schema) =>
  html`<article id="schema-${name}"><h3><a href="#schema-${name}">${name}</a></h3>
${schema.description === undefined ? '' : html`<p>${prose(schema.description)}</p>`}
${schemaTable(schema)}
${schema.example === undefined ? '' : html`<pre>${JSON.stringify(schema.example, null, 2)}</pre>`}</article>`;

function schemaTable(schema: Schema): Html {
  const properties = Object.entries(propertiesOf(schema));
  if (properties.length === 0) return html`<p>${typeOf(schema)}</p>`;
  const required = new Set([schema, ...(schema.allOf ?? [])].flatMap((part) => part.required ?? []));
  return html`<table>${properties.map(
    ([name, property]) =>
      html`<tr><th scope="row"><code>${name}</code>${required.has(name) ? '' : html` <i>optional</i>`}</th><td>${typeOf(property)}</td><td>${prose(property.description ?? '')}${fallback(property)}</td></tr>`,
  )}</table>`;
}

const propertiesOf = (schema: Schema): Readonly<Record<string, Schema>> =>
  Object.assign({}, schema.properties, ...(schema.allOf ?? []).map(propertiesOf));

const fallback = (schema: Schema | undefined) =>
  schema?.default === undefined ? '' : html` <i>default</i> <code>${JSON.stringify(schema.default)}</code>`;

const nameOf = (ref: string) => ref.slice(ref.lastIndexOf('/') + 1);

const resolve = (schema: Schema, schemas: Document['components']['schemas']): Schema =>
  schema.$ref === undefined ? schema : (schemas[nameOf(schema.$ref)] ?? {});

/** A schema in a few words; named ones as links. */
function typeOf(schema: Schema | undefined): Html | string {
  if (schema === undefined) return '';
  if (schema.$ref !== undefined)
    return html`<a href="#schema-${nameOf(schema.$ref)}">${nameOf(schema.$ref)}</a>`;
  if (schema.const !== undefined) return html`<code>${JSON.stringify(schema.const)}</code>`;
  if (schema.enum)
    return join(
      schema.enum.map((value) => html`<code>${String(value)}</code>`),
      ' | ',
    );
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) return join(alternatives.map(typeOf), ' | ');
  if (schema.allOf) return join(schema.allOf.map(typeOf), ' & ');
  if (schema.items) return html`array of ${typeOf(schema.items)}`;
  if (schema.properties) {
    const fields = Object.entries(schema.properties).map(
      ([name, property]) =>
        html`<li><code>${name}</code> ${typeOf(property)} ${prose(property.description ?? '')}</li>`,
    );
    return html`<details><summary>object</summary><ul>${fields}</ul></details>`;
  }
  if (typeof schema.additionalProperties === 'object')
    return html`object of ${typeOf(schema.additionalProperties)}`;
  const type = Array.isArray(schema.type) ? schema.type.join(' | ') : String(schema.type ?? 'any');
  return schema.format === undefined ? type : `${type} (${schema.format})`;
}

const join = (parts: readonly (Html | string)[], separator: string) =>
  html`${parts.map((part, index) => (index === 0 ? part : html`${separator}${part}`))}`;

function curl(method: string, path: string, { example }: Schema): Html | string {
  if (example === undefined) return '';
  const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name === 'workspace' ? 'default' : `$${name.toUpperCase()}`,
  );
  return html`<pre>curl -X ${method.toUpperCase()} "$CAIRN_URL${url}" \\
  -H "Authorization: Bearer $CAIRN_TOKEN" -H 'Content-Type: application/json' \\
  -d '${JSON.stringify(example)}'</pre>`;
}

/** Text with `code` in it. */
const prose = (text: string) =>
  html`${text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; font: 16px/1.5 system-ui, sans-serif; }
body { display: grid; grid-template-columns: 17rem minmax(0, 60rem); gap: 2rem; margin: 0; padding: 0 1rem; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; font-size: .875rem; }
nav ul { list-style: none; margin: 0 0 .5rem; padding-left: .75rem; }
nav summary, h2 { text-transform: capitalize; }
h3 { margin-bottom: .25rem; } h3 a { color: inherit; text-decoration: none; }
article { border-top: 1px solid var(--line); padding: .5rem 0 1.5rem; scroll-margin-top: 1rem; }
article:target { background: var(--soft); }
.route b { display: inline-block; padding: 0 .5rem; border-radius: .25rem; background: var(--soft); border: 1px solid var(--line); }
code, pre { font: .875em/1.45 ui-monospace, monospace; } code { overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .75rem; overflow: auto; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; } caption, h4 { text-align: left; font-weight: 600; margin: .5rem 0 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-top: 1px solid var(--line); } th { font-weight: 400; white-space: nowrap; }
td ul { margin: 0; padding-left: 1rem; } i { opacity: .7; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; } }
`;
