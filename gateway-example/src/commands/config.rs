//! What the subcommands about configuration files do.

use super::{Outcome, say, system_entropy};
use clap::Args as ClapArgs;
use gateway_example::config::{self, Config};
use gateway_example::core::Gateway;
use std::error::Error;
use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(ClapArgs)]
pub(crate) struct CheckArgs {
    /// The configuration file, or a script of an AlliedWare router (.cfg, .scp).
    #[arg(long, short)]
    config: PathBuf,
    /// Compare it with what the running gateway has; secrets are masked.
    #[arg(long)]
    diff: bool,
    /// The running gateway's control socket, if not the one that the file names.
    #[arg(long, requires = "diff")]
    socket: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(crate) struct ConvertArgs {
    /// The script.
    script: PathBuf,
}

#[derive(ClapArgs)]
pub(crate) struct InitArgs {
    /// Where to write it.
    #[arg(default_value = "office.toml")]
    file: PathBuf,
}

pub(crate) async fn check(args: CheckArgs) -> Outcome {
    let config = load(&args.config)?;
    let socket = config.gateway.control_socket.clone();
    Gateway::new(Arc::new(config), system_entropy())?;
    say(&format!("{}: ok", args.config.display()));
    if args.diff {
        return super::ask::diff(&args.config, args.socket.unwrap_or(socket)).await;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn convert(args: &ConvertArgs) -> Outcome {
    let path = &args.script;
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    if text
        .parse::<toml::Table>()
        .is_ok_and(|table| !table.is_empty())
    {
        let file = path.display();
        return Err(
            format!("{file}: is TOML already; name a script of an AlliedWare router").into(),
        );
    }
    let conversion = config::convert(path, &text)?;
    for note in conversion.notes.iter().filter(|note| !note.applied) {
        tracing::warn!("{}: {note}", path.display());
    }
    say(conversion.toml.trim_end());
    Ok(ExitCode::SUCCESS)
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(crate) fn init(args: &InitArgs) -> Outcome {
    let mut rng = system_entropy()();
    let text = config::starting_file(|length| {
        let mut secret = String::new();
        while secret.len() < length {
            // Each character as likely as another: what is left over of 64 is drawn again.
            let drawn = usize::try_from(rng.next_u32() >> 26).unwrap_or(usize::MAX);
            secret.extend(ALPHABET.get(drawn).map(|c| char::from(*c)));
        }
        secret
    });
    let explain = |e: std::io::Error| {
        let help = match e.kind() {
            ErrorKind::AlreadyExists => ": it stays as it is; name another file",
            ErrorKind::NotFound => ": there is no such folder",
            _ => "",
        };
        format!("{}: {e}{help}", args.file.display())
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.file)
        .map_err(explain)?;
    // Whatever the umask was.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    let name = args.file.display();
    say(&format!(
        "{name}: written; it holds a new pre-shared key and new passwords. Change users and addresses in it, then: gateway check --config {name}"
    ));
    Ok(ExitCode::SUCCESS)
}

/// Reads a configuration and tells what is doubtful about it.
pub(crate) fn load(path: &Path) -> Result<Config, Box<dyn Error>> {
    let (config, notes) = Config::load_with_notes(path)?;
    for note in notes {
        if note.applied {
            tracing::debug!("{}: {note}", path.display());
        } else {
            tracing::warn!("{}: not applied: {note}", path.display());
        }
    }
    let others_read = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o004 != 0);
    if others_read && std::fs::read_to_string(path).is_ok_and(|t| config::holds_secrets(&t)) {
        tracing::warn!(
            "{}: everybody on this machine can read its secrets: chmod 600 it",
            path.display()
        );
    }
    for warning in config.warnings() {
        tracing::warn!("{}: {warning}", path.display());
    }
    Ok(config)
}
