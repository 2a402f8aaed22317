import type { FunctionName } from '../../../infra/bundle.ts';
import { TABLE_RULES, type TableAction } from '../../../infra/permissions/table-rules.ts';
import type { Op, Table } from '../../../shared/ports/table.ts';

/**
 * The table as the function's role reaches it. What the rules do not allow is refused as IAM refuses it: test/infra/permissions.test.ts
 * holds the template to the same rules.
 */
export function tableOfRole(name: FunctionName, table: Table): Table {
  const may = (action: TableAction, pk: string): void => {
    const allowed = TABLE_RULES[name].some(
      ({ actions, only, not = [] }) =>
        actions.includes(action) && (only === undefined || matches(only, pk)) && !matches(not, pk),
    );
    if (!allowed) throw new Error(`AccessDeniedException: ${name} may not ${action} in "${pk}".`);
  };
  return {
    get: async (key) => {
      may('GetItem', key.pk);
      return table.get(key);
    },
    getMany: async (keys) => {
      for (const { pk } of keys) may('BatchGetItem', pk);
      return table.getMany(keys);
    },
    query: async (query) => {
      may('Query', query.pk);
      return table.query(query);
    },
    transact: async (ops) => {
      for (const op of ops) may(...actionOf(op));
      return table.transact(ops);
    },
  };
}

function actionOf(op: Op): [TableAction, string] {
  if ('put' in op) return ['PutItem', op.put.pk];
  return 'delete' in op ? ['DeleteItem', op.delete.pk] : ['ConditionCheckItem', op.check.pk];
}

/** As IAM's StringLike, of which Cairn uses the `*` at the end. */
const matches = (patterns: readonly string[], text: string): boolean =>
  patterns.some((one) => (one.endsWith('*') ? text.startsWith(one.slice(0, -1)) : text === one));
