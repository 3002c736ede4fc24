# sed -nEf listing.sed HOW-TO: the configuration script that the how-to note lists, and its pre-shared key.
# Of the note's steps before the script, those that are commands.
/^create enco key=/p
/^login secoff/p
# A page that was scanned as one paragraph: comments and commands get their lines back.
/^The configuration script$/,/^Set the router to use the configuration$/{
    /^(The configuration script|Note: |Set the router to use|```|$)/d
    s/^Dynamic private interfaces/# &/
    s/ # /\n# /g
    s/ (add|create|set|enable) (fire|ipsec|ssh) /\n\1 \2 /g
    p
}
