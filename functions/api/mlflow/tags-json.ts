/** A record of tags as MLflow's list of them; an empty list is left out. */
export function tagsJson(tags: Readonly<Record<string, string>>): {
  tags?: { key: string; value: string }[];
} {
  const entries = Object.entries(tags);
  return entries.length === 0 ? {} : { tags: entries.map(([key, value]) => ({ key, value })) };
}
