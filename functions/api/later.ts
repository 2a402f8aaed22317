/**
 * What `make` gives, made at the first call and then the same one. For schemas of answers: no request needs them, only the
 * OpenAPI document, and making them all takes as long as the rest of the API's start.
 */
export function later<T>(make: () => T): () => T {
  let made: { readonly it: T } | undefined;
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}
