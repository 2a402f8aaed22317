/** Claims of a JSON Web Token (RFC 7519, section 4). */
export interface TokenClaims {
  /** Seconds since the Unix epoch. */
  readonly exp: number;
  readonly [claim: string]: unknown;
}

/** Checks tokens that an OpenID Connect issuer signed. */
export interface TokenVerifier {
  /**
   * The claims of a token whose signature, issuer, audience and times are right.
   * @throws CairnError `UNAUTHENTICATED` for any other; `ISSUER_UNAVAILABLE` when the issuer's keys cannot be had
   */
  verify(token: string): Promise<TokenClaims>;
}
