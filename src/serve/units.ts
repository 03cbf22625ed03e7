/** systemd: units that `gatepass serve --print-units` prints, and what the service tells it. */
import {spawn} from 'node:child_process';
import process from 'node:process';
import type {ListenAddress} from '../config/serve-settings.ts';

export interface UnitSettings {
	readonly listen: ListenAddress;
	/** `user`: for `systemctl --user`; `system`: for a service of the machine, with a user of its own. */
	readonly scope: 'user' | 'system';
	/** Absolute paths. */
	readonly node: string;
	readonly program: string;
	readonly configuration: string | undefined;
}

/** A service and its socket, as one text with the name of each file before it. */
export function printUnits({listen, scope, node, program, configuration}: UnitSettings): string {
	const isUser = scope === 'user';
	const folder = isUser ? '~/.config/systemd/user' : '/etc/systemd/system';
	const control = isUser ? 'systemctl --user' : 'systemctl';
	const stream =
		'path' in listen
			? listen.path
			: `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${listen.port}`;
	const start = [node, program, 'serve', ...(configuration === undefined ? [] : ['-c', configuration])];
	return `# ${folder}/gatepass.socket
[Unit]
Description=gatepass, the local proxy (socket)

[Socket]
ListenStream=${escaped(stream)}
${'path' in listen ? 'SocketMode=0600\nRemoveOnStop=yes\n' : ''}NoDelay=yes

[Install]
WantedBy=sockets.target

# ${folder}/gatepass.service
[Unit]
Description=gatepass, the local proxy
Requires=gatepass.socket
After=gatepass.socket${isUser ? '' : ' network-online.target'}
${isUser ? '' : 'Wants=network-online.target\n'}
[Service]
Type=notify
# systemd-notify is what tells that the service is ready.
NotifyAccess=all
ExecStart=${start.map(quoted).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
# GATEPASS_SECRET=…, in a file that only its owner can read (chmod 600).
EnvironmentFile=-${isUser ? '%h/.config/gatepass/environment' : '/etc/gatepass/environment'}
StateDirectory=gatepass
StateDirectoryMode=0700
UMask=0077
TimeoutStopSec=40
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
${
	isUser
		? ''
		: `DynamicUser=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictNamespaces=yes
CapabilityBoundingSet=
SystemCallFilter=@system-service
`
}
[Install]
WantedBy=${isUser ? 'default.target' : 'multi-user.target'}

# Then: ${control} daemon-reload && ${control} enable --now gatepass.socket
`;
}

/** Percent signs mean something else there. */
function escaped(text: string): string {
	return text.replaceAll('%', '%%');
}

function quoted(text: string): string {
	const whole = escaped(text).replaceAll('$', '$$$$');
	return /^[\w%$@+=:,./-]+$/.test(whole)
		? whole
		: `"${whole.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/**
 * Tell systemd how the service stands, where it wants to know (sd_notify). Node has no datagrams on Unix sockets, so
 * systemd's own program sends it.
 */
export async function notifySystemd(...state: readonly string[]): Promise<void> {
	if (process.env.NOTIFY_SOCKET === undefined) return;
	const child = spawn('systemd-notify', [`--pid=${process.pid}`, ...state], {stdio: 'ignore'});
	await new Promise<void>(resolve => {
		child.once('error', () => resolve());
		child.once('close', () => resolve());
	});
}
