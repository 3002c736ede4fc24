//! The binary `gateway`: an office's L2TP/IPsec gateway, its client, and a demonstration.

mod commands;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// L2TP/IPsec for travelling staff: the office's gateway, a client, and a demonstration.
#[derive(Parser)]
#[command(name = "gateway", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// More detail: `debug`, `trace`, or by module as in `l2tp=trace`.
    #[arg(long, global = true, default_value = "info", env = "GATEWAY_LOG")]
    log: String,
    /// How lines of the log look.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "GATEWAY_LOG_FORMAT"
    )]
    log_format: commands::LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Show a whole system on this machine: gateway, NAT, road warriors. Needs no privilege.
    Demo(commands::demo::Args),
    /// Run the office's gateway. Needs root or CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE.
    Run(commands::run::Args),
    /// Check a configuration file.
    Check(commands::config::CheckArgs),
    /// Write a configuration file to start from, with a new pre-shared key and new passwords.
    Init(commands::config::InitArgs),
    /// Print a script of an AlliedWare router as a configuration file.
    Convert(commands::config::ConvertArgs),
    /// Connect to an L2TP/IPsec server. Needs root or CAP_NET_ADMIN, CAP_NET_BIND_SERVICE.
    Connect(commands::connect::Args),
    #[command(flatten)]
    Ask(commands::ask::Ask),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(e) = commands::start_log(&cli.log, cli.log_format) {
        return commands::fail(&format!("--log {}: {e}", cli.log));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return commands::fail(&e.to_string()),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => commands::demo::demo(args).await,
            Command::Run(args) => commands::run::run(args).await,
            Command::Check(args) => commands::config::check(args).await,
            Command::Init(args) => commands::config::init(&args),
            Command::Convert(args) => commands::config::convert(&args),
            Command::Connect(args) => commands::connect::connect(args).await,
            Command::Ask(what) => commands::ask::run(what).await,
        }
    });
    match result {
        Ok(code) => code,
        Err(e) => commands::fail(&e.to_string()),
    }
}
