/** What a renewed certificate is put into. */

/** A certificate on disk. The paths stay the same over renewals; `privkey` holds a secret. */
export interface DeployedLineage {
	readonly name: string;
	/** Its names and addresses. */
	readonly domains: readonly string[];
	readonly paths: Readonly<Record<'cert' | 'chain' | 'fullchain' | 'privkey', string>>;
}

/** What a web server can do besides showing the certificate. */
export interface Enhancements {
	/** Lead from http to https. */
	readonly redirect?: boolean | undefined;
	/** Tell browsers to come by https only (RFC 6797). */
	readonly hsts?: boolean | undefined;
	/** Show the authority's word that the certificate is not revoked (RFC 6066). */
	readonly stapling?: boolean | undefined;
	/** Headers to send, by name. */
	readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Puts certificates into something. Users may write their own. */
export interface Installer {
	/** For messages and the user agent. */
	readonly name: string;
	/**
	 * Put the certificate to use. A failure of any step leaves what was there before, and says so.
	 *
	 * @throws {GatepassError} saying what failed, and that it was restored.
	 */
	deploy(lineage: DeployedLineage): Promise<void>;
	/** What is there already is no error. Absent: there is nothing to enhance. */
	enhance?(lineage: DeployedLineage, enhancements: Enhancements): Promise<void>;
}
