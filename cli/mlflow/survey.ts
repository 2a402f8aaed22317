import type { MlflowServer } from './server.ts';

/** How many runs and versions there are to bring. `found` is told of them page by page. */
export async function survey(
  from: MlflowServer,
  { registryOnly, found }: { registryOnly: boolean; found: () => void },
): Promise<number> {
  let items = 0;
  const count = async (all: AsyncGenerator<unknown>) => {
    for await (const _ of all) {
      items++;
      found();
    }
  };
  if (!registryOnly) {
    const experiments = from.all<{ experiment_id: string }>('experiments/search', 'experiments', {
      body: { view_type: 'ACTIVE_ONLY', max_results: 1000 },
    });
    for await (const { experiment_id } of experiments) {
      const body = { experiment_ids: [experiment_id], max_results: 1000 };
      await count(from.all('runs/search', 'runs', { body }));
    }
  }
  for (const filter of ['', "tags.`mlflow.prompt.is_prompt` = 'true'"]) {
    const query = { filter, max_results: 1000 };
    await count(from.all('model-versions/search', 'model_versions', { query }));
  }
  return items;
}
