/** The part of aws4 that tests and bench use; it brings no types of its own. */
declare module 'aws4' {
	interface Aws4Request {
		service?: string;
		region?: string;
		method?: string;
		host?: string;
		path?: string;
		body?: string;
		headers?: Record<string, string | undefined>;
		signQuery?: boolean;
		extraHeadersToIgnore?: Record<string, boolean>;
	}
	const aws4: {
		sign(request: Aws4Request, keys: {accessKeyId: string; secretAccessKey: string}): Aws4Request;
	};
	export default aws4;
}
