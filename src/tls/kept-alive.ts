/** How long connections are kept for the next request. */

/**
 * As Node's own agents keep theirs (https://nodejs.org/api/http.html#httpglobalagent): an idle one for five seconds, the
 * newest used first. One that is kept without limit may have been dropped in silence by something on the way, and the next
 * request over it would wait for its whole time limit.
 */
export const keptAlive = {keepAlive: true, scheduling: 'lifo', timeout: 5000} as const;
