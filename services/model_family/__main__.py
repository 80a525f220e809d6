from services.model_family.command import main

if __name__ == "__main__":
    raise SystemExit(main())
