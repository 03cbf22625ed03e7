/** What runs `gatepass cert renew` again and again, for those who do not want it inside of a service: printed, not installed. */
import {realpathSync} from 'node:fs';
import process from 'node:process';

/** A systemd service, and the timer that starts it. */
export function systemdTimer(parameters: readonly string[]): string {
	return `# /etc/systemd/system/gatepass-renew.service
[Unit]
Description=Renew the certificates that are due
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=${words(parameters).map(forSystemd).join(' ')}

# /etc/systemd/system/gatepass-renew.timer
[Unit]
Description=Renew certificates every hour

[Timer]
OnCalendar=hourly
RandomizedDelaySec=30min
Persistent=true

[Install]
WantedBy=timers.target

# Then: systemctl daemon-reload && systemctl enable --now gatepass-renew.timer`;
}

/** A line for a crontab. The minute is drawn, so that not all machines ask at once. */
export function cronLine(parameters: readonly string[], minute = Math.floor(Math.random() * 60)): string {
	return `${minute} * * * * ${words(parameters).map(forCron).join(' ')}`;
}

/** Neither has the PATH of a shell. */
function words(parameters: readonly string[]): string[] {
	return [process.execPath, realpathSync(process.argv[1] as string), 'cert', 'renew', ...parameters];
}

/** systemd.service(5), "Command lines": `%` and `$` stand for something else. */
function forSystemd(word: string): string {
	const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
	return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `"${escaped.replace(/(["\\])/g, '\\$1')}"`;
}

/** For `sh`; crontab(5) takes a `%` for the end of the line. */
function forCron(word: string): string {
	const quoted = /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
	return quoted.replaceAll('%', '\\%');
}
