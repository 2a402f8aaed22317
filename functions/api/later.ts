/**
 * What `make` gives, made at the first call and then the same one. For schemas of answers, which no request needs, only the
 * OpenAPI document: a process begins without making them.
 */
export function later<T>(make: () => T): () => T {
  let made: { readonly it: T } | undefined;
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}
